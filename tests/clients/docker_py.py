"""What users of docker-py do, one topic for each run: docker_py.py TOPIC, with DOCKER_HOST set and an image busybox there."""

import io
import sys
import tarfile
import threading

import docker

client = docker.from_env()


def run(name, script, **more):
    return client.containers.run("busybox", ["sh", "-c", script], name=name, detach=True, **more)


def life_cycle():
    box = client.containers.create("busybox", ["sh", "-c", "sleep 1000"], name="life", labels={"tier": "test"})
    assert box.status == "created"
    box.start()
    box.reload()
    assert box.status == "running" and box.attrs["State"]["Pid"] > 1
    assert [found.name for found in client.containers.list(filters={"label": "tier=test"})] == ["life"]
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.rename("lives")
    assert client.containers.get("lives").id == box.id
    assert any("sleep 1000" in " ".join(row) for row in box.top()["Processes"])
    box.update(mem_limit="64m", memswap_limit="64m")
    box.reload()
    assert box.attrs["HostConfig"]["Memory"] == 64 << 20
    box.restart(timeout=0)
    box.kill("KILL")
    assert box.wait()["StatusCode"] == 137
    box.remove()
    try:
        client.containers.get(box.id)
    except docker.errors.NotFound as error:
        assert "No such container" in str(error)
    else:
        raise AssertionError("it was removed")


def exec_():
    box = run("exec", "sleep 1000")
    code, (out, err) = box.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True)
    assert (code, out, err) == (3, b"out\n", b"err\n")
    assert box.exec_run("id -u", user="1").output == b"1\n"
    assert box.exec_run("pwd", workdir="/tmp").output == b"/tmp\n"
    assert box.exec_run(["sh", "-c", "echo $WORD"], environment={"WORD": "said"}).output == b"said\n"
    # Fast ones lose nothing, however the answer and the stream meet.
    for number in range(50):
        assert box.exec_run(["echo", str(number)]).output == b"%d\n" % number
    made = client.api.exec_create(box.id, ["cat"], stdin=True)
    stream = client.api.exec_start(made["Id"], socket=True)
    # The stream lies below docker-py's buffered reader.
    stream._sock.sendall(b"to cat\n")
    assert read_frame(stream) == b"to cat\n"
    stream._sock.close()
    box.remove(force=True)


def read_frame(stream):
    def exactly(length):
        data = b""
        while len(data) < length:
            piece = stream._sock.recv(length - len(data))
            assert piece, "the stream ended"
            data += piece
        return data

    return exactly(int.from_bytes(exactly(8)[4:], "big"))


def attach():
    box = client.containers.create("busybox", "cat", name="attach", stdin_open=True)
    stream = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    stream._sock.sendall(b"hello\n")
    assert read_frame(stream) == b"hello\n"
    stream._sock.close()
    box.remove(force=True)
    printer = client.containers.create("busybox", ["sh", "-c", "echo one; echo two >&2"], name="printer")
    output = printer.attach(stdout=True, stderr=True, stream=True, logs=True)
    printer.start()
    assert sorted(b"".join(output).splitlines()) == [b"one", b"two"]
    printer.remove(force=True)


def logs():
    box = run("logs", "for n in 1 2 3; do echo line $n; done; echo wrong >&2")
    box.wait()
    assert box.logs(stderr=False) == b"line 1\nline 2\nline 3\n"
    assert box.logs(stdout=False) == b"wrong\n"
    box.remove()
    lines = run("lines", "seq 1 3")
    lines.wait()
    assert lines.logs(tail=1) == b"3\n"
    stamped = lines.logs(tail=1, timestamps=True).decode()
    assert stamped.startswith("20") and stamped.endswith("Z 3\n"), stamped
    lines.remove()
    follower = run("follower", "echo first; read wait; echo last", stdin_open=True)
    lines = follower.logs(stream=True, follow=True)
    assert next(lines) == b"first\n"
    follower.attach_socket(params={"stdin": 1, "stream": 1})._sock.sendall(b"go\n")
    assert next(lines) == b"last\n"
    assert list(lines) == []
    follower.remove()


def stats():
    box = run("stats", "sleep 1000", mem_limit="64m")
    once = box.stats(stream=False)
    assert once["memory_stats"]["limit"] == 64 << 20, once["memory_stats"]
    assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0 and once["pids_stats"]["current"] == 1
    stream = box.stats(decode=True)
    first, second = next(stream), next(stream)
    assert first["id"] == box.id and second["preread"] == first["read"]
    box.remove(force=True)


def events():
    stream = client.events(decode=True, filters={"type": "container"})
    seen = []

    def listen():
        for event in stream:
            seen.append((event["Action"], event["Actor"]["Attributes"]["name"]))
            if event["Action"] == "destroy":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    box = run("events", "exit 5")
    box.wait()
    box.remove()
    listener.join()
    stream.close()
    assert seen == [(action, "events") for action in ("create", "start", "die", "destroy")], seen


def archive():
    box = client.containers.create("busybox", "true", name="archive")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size, entry.mode = 4, 0o640
        tar.addfile(entry, io.BytesIO(b"data"))
    assert box.put_archive("/tmp", packed.getvalue())
    chunks, stat = box.get_archive("/tmp/file")
    assert stat["name"] == "file" and stat["size"] == 4 and stat["mode"] == 0o640, stat
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("file").read() == b"data"
    assert {"Path": "/tmp/file", "Kind": 1} in box.diff()
    image = box.commit("committed", "1", changes="CMD cat /tmp/file")
    assert client.containers.run(image, remove=True) == b"data"
    exported = io.BytesIO(b"".join(box.export()))
    with tarfile.open(fileobj=exported) as tar:
        assert "tmp/file" in tar.getnames()
    box.remove()


def system():
    assert client.ping()
    assert client.version()["ApiVersion"] and client.info()["OSType"] == "linux"
    assert client.df()["Images"]
    volume = client.volumes.create("docker-py", labels={"tier": "test"})
    mounted = client.containers.run("busybox", "sh -c 'echo kept > /v/file'", volumes={volume.name: {"bind": "/v"}}, remove=True)
    assert mounted == b""
    assert client.containers.run("busybox", "cat /v/file", volumes=["docker-py:/v:ro"], remove=True) == b"kept\n"
    volume.remove()
    network = client.networks.create("docker-py", driver="bridge")
    named = run("named", "sleep 1000", network="docker-py")
    reached = client.containers.run("busybox", "busybox ping -c 1 named", network="docker-py", remove=True)
    assert b"1 packets received" in reached, reached
    named.remove(force=True)
    network.remove()


TOPICS = {function.__name__.strip("_"): function for function in
          (life_cycle, exec_, attach, logs, stats, events, archive, system)}

TOPICS[sys.argv[1]]()
