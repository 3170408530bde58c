docker run --name both busybox sh -c 'echo out; echo err >&2'
docker logs both
docker run --name box busybox sh -c 'echo one; echo two; echo three'
docker logs box
docker logs -n 1 box
docker logs --tail 0 box
docker logs --tail all box
docker logs --tail nonsense box
docker logs --tail -5 box
docker container logs -t box
docker logs --details box
docker logs -f box
docker logs --follow --tail 1 box
docker logs --since 1h box
docker logs --until 1h box
docker logs --since 2000-01-01 box
docker logs --since nonsense box
docker logs --until nonsense box
docker logs nothing
docker logs -f nothing
docker run --name labelled -l a=b -e C=D --log-opt labels=a --log-opt env=C busybox echo x
docker logs --details labelled
docker logs --details -t labelled
docker run --name none --log-driver none busybox echo x
docker logs none
docker run --name local --log-driver local busybox echo x
docker logs local
docker run --name wrong --log-driver nonsense busybox echo x
docker run --name wrong --log-opt nonsense=1 busybox echo x
docker run --name wrong --log-opt max-size=x busybox echo x
docker run -t --name terminal busybox echo x
docker logs terminal
docker create --name idle busybox
docker logs idle
docker run --name plain busybox printf 'no end of line'
docker logs plain
docker logs -n 1 plain
