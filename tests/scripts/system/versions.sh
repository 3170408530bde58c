# What an engine is too old for is refused by the client.
docker run -d --name box busybox sleep 1000
DOCKER_API_VERSION=1.24 docker run --init --init --gpus all --cpu-count 1 --annotation a=b busybox
DOCKER_API_VERSION=1.24 docker create --cgroupns host --cpu-rt-period 1 --cpu-rt-runtime 1 --cpus 1 --health-start-interval 1s --health-start-period 1s --platform linux/amd64 --stop-timeout 1 busybox
DOCKER_API_VERSION=1.24 docker run --init
DOCKER_API_VERSION=1.24 docker container run --init=false busybox
DOCKER_API_VERSION=1.43 docker run --health-start-interval 1s --annotation a=b busybox
DOCKER_API_VERSION=1.24 docker exec -w /tmp box pwd
DOCKER_API_VERSION=1.24 docker exec -e A=B --env-file x box pwd
DOCKER_API_VERSION=1.34 docker exec -w /tmp box pwd
DOCKER_API_VERSION=1.35 docker exec -w /tmp box pwd
DOCKER_API_VERSION=1.24 docker container prune --help
DOCKER_API_VERSION=1.24 docker container prune a b
DOCKER_API_VERSION=1.24 docker image prune -f
DOCKER_API_VERSION=1.24 docker network prune -f
DOCKER_API_VERSION=1.24 docker volume prune -f
DOCKER_API_VERSION=1.24 docker system df
DOCKER_API_VERSION=1.24 docker system df --nonsense
DOCKER_API_VERSION=1.24 docker system prune -f x
DOCKER_API_VERSION=1.27 docker system prune -f --filter a=b
DOCKER_API_VERSION=1.41 docker volume prune -a
DOCKER_API_VERSION=1.41 docker volume create --availability active --group a --limit-bytes 1 --required-bytes 1 --scope single --secret a=b --sharing none --topology-preferred a=b --topology-required a=b --type block
DOCKER_API_VERSION=1.41 docker volume update x
DOCKER_API_VERSION=1.41 docker volume ls --cluster
DOCKER_API_VERSION=1.24 docker volume rm -f x
DOCKER_API_VERSION=1.24 docker network create --attachable --scope local --config-only --config-from x --ingress
DOCKER_API_VERSION=1.24 docker update --pids-limit 1 --cpus 1 --cpu-rt-period 1 --cpu-rt-runtime 1 box
DOCKER_API_VERSION=1.28 docker update --cpus 1 box
DOCKER_API_VERSION=1.24 docker logs --until 1s box
DOCKER_API_VERSION=1.24 docker images --tree
DOCKER_API_VERSION=1.24 docker pull --platform linux/amd64 x
DOCKER_API_VERSION=1.45 docker push --platform linux/amd64 x
DOCKER_API_VERSION=1.47 docker save --platform linux/amd64 x
DOCKER_API_VERSION=1.47 docker load --platform linux/amd64
DOCKER_API_VERSION=1.47 docker history --platform linux/amd64 x
DOCKER_API_VERSION=1.48 docker image inspect --platform linux/amd64 x
DOCKER_API_VERSION=1.49 docker rmi --platform linux/amd64 x
DOCKER_API_VERSION=1.24 docker import --platform linux/amd64 - x
DOCKER_API_VERSION=1.12 docker network ls
DOCKER_API_VERSION=1.12 docker network prune
DOCKER_API_VERSION=1.12 docker volume ls
DOCKER_API_VERSION=v1.30 docker run --annotation a=b busybox true
DOCKER_API_VERSION=1.99 docker run --rm --init busybox true
DOCKER_HOST=unix:///nowhere docker run --init busybox true
DOCKER_HOST=unix:///nowhere DOCKER_API_VERSION=1.30 docker run --annotation a=b busybox true
DOCKER_HOST=unix:///nowhere docker system df
DOCKER_API_VERSION=1.24 docker run --help | grep -cE -- '--(init|annotation|gpus|platform) '
DOCKER_API_VERSION=1.50 docker run --help | grep -cE -- '--(init|annotation|gpus|platform) '
DOCKER_API_VERSION=1.24 docker system --help | grep -cE '^  (df|prune) '
docker system --help | grep -cE '^  (df|prune) '
DOCKER_API_VERSION=1.24 docker volume create --help | grep -c scope
docker run --rm --init busybox echo started
