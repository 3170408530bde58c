# A shell starts what runs in the background with SIGINT ignored; `trap ''` hands SIGTERM on like that.
docker run -d --name box busybox sleep 1000
docker wait box & while kill -INT $!; do sleep 1; done 2>/dev/null; wait $!; echo $?
docker logs -f box & while kill -INT $!; do sleep 1; done 2>/dev/null; wait $!; echo $?
trap '' TERM; docker events & while kill -TERM $!; do sleep 1; done 2>/dev/null; wait $!; echo $?
trap '' HUP; docker wait box & sleep 1; kill -HUP $!; sleep 0.2; kill -0 $! && echo there; while kill -INT $!; do sleep 1; done 2>/dev/null; wait $!; echo $?
: >out; docker run --rm busybox sh -c 'trap "exit 3" INT; echo ready; while :; do sleep 0.1; done' >out & until grep -q ready out; do sleep 0.1; done; kill -INT $!; wait $!; echo $?
: >out2; docker run --rm --sig-proxy=false busybox sh -c 'trap "exit 3" INT; echo ready; sleep 2; echo end' >out2 & until grep -q ready out2; do sleep 0.1; done; kill -INT $!; wait $!; echo $?; cat out2
: >out3; docker run --rm --sig-proxy=false busybox sh -c 'echo ready; sleep 2; echo end' >out3 & until grep -q ready out3; do sleep 0.1; done; kill -TERM $!; wait $!; echo $?; cat out3
