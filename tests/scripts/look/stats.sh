docker run -d --name box -m 64m busybox sleep 1000
docker create --name idle busybox
docker stats --no-stream --format '{{.Name}} {{.Container}} {{.PIDs}}' box
docker stats --no-stream --format '{{.Name}} {{.ID}}' box idle
docker stats --no-stream -a --format '{{.Name}}'
docker container stats --no-stream --no-trunc --format '{{.ID}} {{.Name}}'
docker stats --no-stream --format 'table {{.Name}}\t{{.PIDs}}' box
docker stats --no-stream nothing
docker stats --no-stream box nothing
docker stats --no-stream idle
docker stats --no-stream --format '{{.Nothing}}' box
docker stats --no-stream --format '{{.Name' box
docker stats --no-stream --format '{{.MemUsage}}' box | sed 's/.*\///'
docker stats --no-stream box | head -1
docker stats --no-stream --format json idle
docker rm -f box idle
docker stats --no-stream
docker stats --no-stream -a
