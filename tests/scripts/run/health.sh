docker run -d --name box --health-cmd 'exit 0' --health-interval 50ms --health-retries 2 --health-timeout 5s busybox sleep 1000
for i in $(seq 1000); do docker inspect -f '{{.State.Health.Status}}' box | grep -qx healthy && break; done
docker ps --format '{{.Names}} {{.Status}}'
docker ps -q --filter health=healthy
docker inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' box
docker inspect -f '{{json .Config.Healthcheck}}' box
docker inspect -f '{{(index .State.Health.Log 0).ExitCode}}' box
docker create --name off --no-healthcheck busybox
docker inspect -f '{{json .Config.Healthcheck}}' off
