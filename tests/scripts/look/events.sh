date +%s.%N >begin
docker run --name one -l a=b busybox true
docker create --name two busybox
docker rename two three
docker rm three
docker tag busybox other
docker rmi other
docker volume create vol
docker volume rm vol
docker network create net
docker network rm net
docker run --name four busybox sh -c 'exit 3'
date +%s.%N >end
docker events --since $(cat begin) --until $(cat end) --filter container=one
docker events --since $(cat begin) --until $(cat end) -f event=create --format '{{.Type}} {{.Action}} {{.Actor.ID}}'
docker events --since $(cat begin) --until $(cat end) -f type=container --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Status}} {{.From}}'
docker system events --since $(cat begin) --until $(cat end) -f type=image
docker events --since $(cat begin) --until $(cat end) -f type=volume
docker events --since $(cat begin) --until $(cat end) -f type=network -f event=create
docker events --since $(cat begin) --until $(cat end) -f label=a=b --format json
docker events --since $(cat begin) --until $(cat end) -f event=die --format '{{json .}}'
docker events --since $(cat begin) --until $(cat end) -f event=die --format '{{.Actor.Attributes.exitCode}} {{.TimeNano}}'
docker events --since $(cat begin) --until $(cat end) -f image=busybox -f event=start
docker events --since $(cat begin) --until $(cat end) -f nonsense=1
docker events --since $(cat begin) --until $(cat end) -f type=nonsense
docker events --since nonsense --until 1
docker events --since 1 --until nonsense
docker events --since 1 --until 2 --format '{{.Nothing}}'
docker events --since $(cat begin) --until $(cat end) --format '{{.Nothing}}'
docker events --since 1 --until 2 --format '{{.ID'
docker events --since 1 --until 2 -f wrong
docker events extra
