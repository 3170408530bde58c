docker create --name box busybox sleep 1000
echo content >file; mkdir -p folder/sub; echo deep >folder/sub/deep
docker cp file box:/tmp/
docker cp file box:/tmp/named
docker container cp folder box:/tmp
docker cp folder/. box:/tmp/contents
docker cp box:/tmp/named back; cat back
docker cp box:/tmp/folder back-folder; find back-folder | sort
docker cp -q file box:/tmp/quiet
docker cp --archive file box:/tmp/archive
docker cp -L box:/bin/sh link; ls -l link | cut -c1
docker cp box:/bin/sh link2; ls -l link2 | cut -c1
docker cp box:/tmp/named - | tar t
tar c file | docker cp - box:/tmp/folder
docker cp file box:/nothing/here/x
docker cp file box:/nothing/
docker cp nothing box:/tmp
docker cp box:/nothing .
docker cp box:/tmp/named nothing/here
docker cp box:/tmp/named nothing/
docker cp folder box:/tmp/named
docker cp file nothing:/tmp
docker cp nothing:/tmp .
docker cp file other
docker cp box:/a box:/b
docker cp - -
docker cp file box:
docker cp '' box:/tmp
docker cp - box:/tmp/named </dev/null
docker cp box:/tmp/contents/sub/deep deep; cat deep
docker cp file box:relative; docker cp box:/relative - | tar t
docker start box
docker exec box cat /tmp/named
docker cp box:/proc/self/nothing .
docker cp file box:/tmp/running; docker exec box cat /tmp/running
docker cp file box://; docker exec box ls /file
docker cp folder box:///; docker exec box ls /folder
docker cp file box://tmp//slashes; docker exec box ls /tmp/slashes
docker cp ' box :/file' - | tar t
docker cp file ' :/tmp'
docker cp ' :/file' -
