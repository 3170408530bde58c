docker run -d --name one busybox sleep 1000
docker run -d --name two busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done'
docker stop -t 0 one
docker stop one
docker stop one nothing
docker container stop nothing one other
docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' one
until docker logs two | grep -q ready; do :; done
docker stop two
docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' two
docker start one two
docker stop --signal KILL one
docker stop --time 0 two
docker stop --timeout 0 two
docker stop -s NONSENSE one
docker start one
docker stop -s NONSENSE one
docker stop -t x one
docker stop -t -1 -s KILL one
docker restart -t 0 one
docker restart -t 0 one nothing
docker container restart --signal KILL one two
docker restart -s NONSENSE one
docker restart --time 0 --signal KILL two
docker ps --format '{{.Names}} {{.State}}'
docker kill one
docker kill one
docker kill nothing one two
docker container kill --signal NONSENSE two
docker restart -t 0 two
docker kill -s NONSENSE two
docker kill -s 0 two
docker kill -s 99 two
docker kill -s USR1 two
docker kill -s SIGKILL two
docker wait two
docker wait one two
docker container wait nothing one
docker wait one nothing other
docker ps -a --format '{{.Names}} {{.State}} {{.Status}}'
