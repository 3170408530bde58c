docker run -d -i --name box busybox sh -c 'read line; echo got $line; exit 4'
# Input that ends ends the session, here and with Docker, so it stays open until the container has ended. The shell waits
# in between: one that ends with `docker wait` becomes it, and its redirection would close the input at once.
(echo word; code=$(docker wait box)) | docker attach box
docker attach box
docker attach nothing
docker container attach nothing
docker create --name idle busybox
docker attach idle
docker run -d --name held busybox sleep 1000
docker pause held
docker attach held
docker unpause held
~docker attach --detach-keys nonsense held
docker run -d -t --name terminal busybox sh
docker attach terminal
docker attach --no-stdin nothing
docker logs box
