docker run -d --name one busybox sleep 1000
docker run -d --name two busybox sleep 1000
docker pause one
docker pause one
docker container pause one two nothing
docker ps --format '{{.Names}} {{.State}} {{.Status}}'
docker inspect -f '{{.State.Status}} {{.State.Paused}} {{.State.Running}}' one two
docker exec one true
docker start one
docker stop -t 0 one
docker restart -t 0 two
docker pause two
docker kill two
docker unpause one
docker unpause one
docker container unpause nothing two
docker create --name three busybox
docker pause three
docker unpause three
docker rm three
docker rm -f one two
