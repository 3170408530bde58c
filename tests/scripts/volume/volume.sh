docker volume ls
docker volume create
docker volume create named
docker volume create named
docker volume create --label a=b labelled
docker volume create -d local -o type=tmpfs -o device=tmpfs -o o=size=1m memory
docker volume create -d nonsense other
docker volume create -o nonsense=1 other
docker volume create -o type=tmpfs other2
docker volume create 'wrong name'
docker volume create --name flag
docker volume create --name one two
docker volume create x
docker volume create --scope nonsense --type x clustered
docker volume create --group g --availability pause --sharing none other3
docker volume ls --format '{{.Driver}} {{.Name}}' | grep -v '[0-9a-f]\{64\}'
docker volume list -q | grep -v '[0-9a-f]\{64\}'
docker volume ls -f name=named
docker volume ls -f label=a=b
docker volume ls -f driver=local -q | wc -l
docker volume ls -f driver=nonsense
docker volume ls -f dangling=true -q | wc -l
docker volume ls -f dangling=nonsense
docker volume ls -f nonsense=1
docker volume ls -f wrong
docker volume ls --format json -f name=labelled
docker volume ls --format '{{json .}}' -f name=labelled
docker volume ls --format 'table {{.Name}}\t{{.Driver}}\t{{.Scope}}\t{{.Mountpoint}}\t{{.Labels}}\t{{.Links}}\t{{.Size}}\t{{.Availability}}\t{{.Group}}\t{{.Status}}' -f name=labelled
docker volume ls --format '{{.Label "a"}}' -f name=labelled
docker volume ls --format '{{.Nothing}}'
docker volume ls --format raw -f name=named
docker volume ls --cluster
docker volume inspect named
docker volume inspect labelled memory
docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Options}}' labelled memory
docker volume inspect nothing
docker volume inspect nothing named -f '{{.Name}}'
docker volume inspect -f '{{.Nothing}}' named
docker volume inspect ''
docker run --rm -v named:/data busybox sh -c 'echo x >/data/x'
docker run --rm -v named:/data:ro busybox cat /data/x
docker run --rm -v named:/data:ro busybox touch /data/y
docker run --rm -v named:/data:nonsense busybox true
docker run -d --name box -v named:/data busybox sleep 1000
docker volume rm named
docker volume rm -f named
docker volume rm nothing
docker volume rm -f nothing
docker volume remove nothing labelled other
docker volume rm ''
docker volume update named
docker volume update --availability drain named
docker volume update --availability nonsense named
docker volume prune </dev/null
echo n | docker volume prune -a
docker volume prune -f | tail -1
docker volume prune -f --filter label=a
docker volume prune -f --filter all=1 | sort
docker volume prune -f -a --filter all=1
docker volume prune -f --filter nonsense=1
docker volume prune --all --force
docker rm -f box
docker volume prune -af
docker volume ls -q
