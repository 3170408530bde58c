docker run -d --name box --init=false busybox sleep 1000
docker top box -o comm
docker top box -eo args
docker container top box -o args,comm
docker top box -o nonsense
docker top box --nonsense
docker top nothing
docker top nothing -o pid
docker create --name idle busybox
docker top idle
docker pause box
docker top box -o comm
docker unpause box
docker top box | head -1
