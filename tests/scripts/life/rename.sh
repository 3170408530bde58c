docker create --name one busybox
docker create --name two busybox
docker rename one uno
docker container rename uno two
docker rename uno uno
docker rename uno ''
docker rename '' uno
docker rename uno 'a b'
docker rename nothing else
docker ps -a --format '{{.Names}}'
docker rm uno
docker rm uno
docker rm two nothing other
docker container rm nothing
docker run -d --name busy busybox sleep 1000
docker rm busy
docker container remove busy
docker container rm -f busy
docker rm -f busy
docker rm -f nothing
docker rm --force --volumes nothing
docker create --name keeper -v /data busybox
docker create --name keeper2 -v named:/data busybox
docker volume ls
docker rm -v keeper
docker rm -v keeper2
docker volume ls -q
docker create --name three busybox
docker rm --link three
docker rm --link three/alias
docker rm three
