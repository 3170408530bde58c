# Names that are none, and blanks around names.
docker run -d --name box busybox sleep 1000
docker volume create data
docker create ''
docker create ' ' sh
docker run ''
docker create --platform nonsense busybox
docker create --pull nonsense ''
docker rm ' '
docker stop ' '
docker start ' '
docker kill ' '
docker restart ' '
docker pause '	'
docker unpause ' '
docker wait ' '
docker top ' '
docker logs ' '
docker port ' '
docker diff ' '
docker export ' '
docker attach ' '
docker exec ' ' true
docker exec ' box ' echo hi
docker update ' ' -m 64m
docker stats --no-stream ' '
docker stop ' nothing '
docker rename ' ' x
docker commit ''
docker commit ' '
docker commit ' ' 'Wrong'
docker commit ' nothing '
docker commit '' x
docker tag ' ' x
docker tag ' ' 'Wrong'
docker tag 'Wrong' x
docker tag 'a b' x
docker images '' -q | wc -l
docker images ' '
docker history ' '
docker rmi ' '
docker network connect bridge ''
docker network connect bridge ' '
docker network connect ' ' box
docker network connect ' ' ' '
docker network connect ' nothing ' box
docker network connect bridge ' nothing '
docker network disconnect bridge ''
docker network disconnect ' nothing ' ' box '
docker network rm ' '
docker network inspect -f '{{.Name}}' ' bridge '
docker volume rm ' '
docker volume inspect -f '{{.Name}}' ' data '
docker volume rm ' data '
docker context use ''
docker context create ''
docker context update ''
docker context export ''
docker context rm ''
docker logout ''
docker manifest create '' x
docker manifest create 'Wrong' x
docker manifest annotate '' x
docker manifest annotate x 'Wrong'
