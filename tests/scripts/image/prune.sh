docker run --name box busybox sh -c 'echo x >/made'
docker commit box
docker commit box kept
docker images -f dangling=true
docker image prune </dev/null
echo y | docker image prune
docker image prune -f
docker images --format '{{.Repository}}' | sort
docker image prune -f --filter until=1h
docker image prune -f --filter label=a
docker image prune -f --filter nonsense=1
docker image prune -f --filter wrong
docker image prune -a </dev/null
echo n | docker image prune -a
docker container prune </dev/null
docker container prune -f --filter until=1h
docker container prune -f --filter label!=a
docker container prune -f
docker container prune --force
docker container prune -f --filter nonsense=1
docker image prune -a -f | wc -l
docker volume create -d local named
docker run --rm -d --name holder -v named:/x busybox sleep 1000
docker create --name idle busybox
docker system prune </dev/null
docker system prune -a </dev/null
docker system prune --volumes </dev/null
docker system prune -a --volumes --filter label=x </dev/null
docker system prune -f
docker system prune -f --filter until=1h
docker system prune -f --volumes --filter until=1h
docker system prune -f --filter nonsense=1
docker system prune -af --volumes
