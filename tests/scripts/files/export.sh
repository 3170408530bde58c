docker run --name box busybox sh -c 'echo x >/made'
docker export box | tar t | grep -x made
docker container export -o out.tar box; tar tf out.tar made
docker export --output nothing/here/out.tar box
docker export -o /dev/full2/x box
docker export nothing
docker export -o none.tar nothing; ls none.tar
docker export ''
docker import out.tar mine:1
docker import -c 'CMD ["sh"]' -c 'ENV A=b' -m 'a message' out.tar mine:2
docker image inspect -f '{{.Comment}} {{json .Config.Env}} {{json .Config.Cmd}} {{.Os}}' mine:2
docker image import --change 'LABEL a=b' out.tar mine:3
docker import --platform linux/arm64 out.tar mine:4
docker image inspect -f '{{.Architecture}}' mine:4
docker import --platform nonsense out.tar mine:5
docker import -c 'NONSENSE x' out.tar mine:5
docker import -c 'RUN x' out.tar mine:5
docker import out.tar 'Wrong Name'
docker import out.tar
docker import nothing.tar
docker import - mine:6 <out.tar
docker import - mine:7 </dev/null
echo nonsense | docker import - mine:8
docker images --format '{{.Repository}}:{{.Tag}}' | sort
docker run --rm mine:2 sh -c 'cat /made; echo $A'
