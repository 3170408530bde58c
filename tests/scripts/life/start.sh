docker create --name box busybox sleep 1000
docker container ls -a --format '{{.Names}} {{.State}} {{.Status}} {{.Image}} {{.Command}}'
docker start box
docker start box
docker container start box nothing
docker start box nothing other
docker ps
docker ps -a --no-trunc
docker create --name brief busybox sh -c 'echo out; echo err >&2; exit 3'
docker start -a brief
docker start --attach --interactive brief
docker start -ai nothing
docker start -a box brief
docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' box brief
docker start --detach-keys ctrl-x -a brief
# Docker swallows the words of a refusal here; we print them.
~docker start --detach-keys wrong -a brief
docker start --checkpoint one box
docker create --name broken busybox no-such-program
docker start broken
docker start -a broken
docker ps -a --format '{{.Names}} {{.State}} {{.Status}}'
docker create busybox
docker create --name box busybox
docker create nothing:1 x
docker create --pull never nothing:1
docker create --pull sometimes busybox
docker create --platform linux/arm64 --pull never busybox
docker create --name 'wrong name' busybox
docker create -q --name quiet busybox
docker create --cidfile id --name kept busybox
wc -c id
docker create --cidfile id busybox
docker container create -e A=b -l c=d --restart always --hostname h --name whole busybox ls -l
docker inspect -f '{{json .Config}} {{json .HostConfig.RestartPolicy}}' whole
