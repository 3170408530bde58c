docker tag busybox one:1
docker tag busybox two:2
docker save busybox | tar t | grep -c .
docker image save -o all.tar one:1 two:2
docker save -o nothing/here.tar one:1
docker save nothing
docker save -o none.tar nothing; ls none.tar
docker save one:1 nothing
docker save -o all2.tar --platform linux/amd64 one:1
docker save --platform nonsense one:1
docker rmi one:1 two:2
docker load -i all.tar
docker image load --input all.tar -q
docker load <all.tar
docker load -q <all.tar
docker load -i nothing.tar
docker load </dev/null
echo nonsense | docker load
docker load --platform nonsense -i all.tar
docker images --format '{{.Repository}}:{{.Tag}}' | sort
docker rmi -f $(docker images -q busybox); docker load -i all.tar
