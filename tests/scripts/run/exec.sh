docker run -d --name box -e A=b busybox sleep 1000
docker exec box echo hi
docker container exec box sh -c 'echo out; echo err >&2; exit 9'
docker exec -e C=d -e A=c box sh -c 'echo $A $C'
printf 'E=f\n' >env; docker exec --env-file env box sh -c 'echo $E'
docker exec --env-file nothing box true
docker exec -w /tmp box pwd
docker exec -w /nothing-here box pwd
docker exec -w relative box pwd
docker exec -u alice box id
docker exec -u 7:8 box id
docker exec -u nobody-here box id
docker exec --privileged box grep CapEff /proc/self/status
echo word | docker exec -i box cat
echo word | docker exec box cat
docker exec -it box true
docker exec -t box echo x
docker exec -d box true
docker exec -d -i box true
docker exec box no-such-program
docker exec -d box no-such-program
docker exec box /etc
docker exec box ''
docker exec nothing true
docker exec --detach-keys nonsense box true
docker exec --detach-keys nonsense -i box true
docker exec -d --detach-keys ctrl-a box true
docker create --name idle busybox
docker exec idle true
docker pause box
docker exec box true
docker unpause box
docker inspect -f '{{.ExecIDs}}' box
docker exec '' true
