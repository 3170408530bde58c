// What users of dockerode do, one topic for each run: dockerode.js TOPIC, with DOCKER_HOST set and an image busybox there.
'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Writable } = require('node:stream');
const Docker = require('dockerode');

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });

const create = (name, script, more = {}) =>
  docker.createContainer({ name, Image: 'busybox', Cmd: ['sh', '-c', script], ...more });

/** Collects what a stream with both outputs carries. */
class Output {
  constructor() {
    this.out = '';
    this.err = '';
  }

  async of(stream) {
    const sink = (key) => new Writable({
      write: (chunk, _, done) => {
        this[key] += chunk;
        done();
      },
    });
    docker.modem.demuxStream(stream, sink('out'), sink('err'));
    await once(stream, 'end');
    return this;
  }
}

/** The lines of a stream of JSON documents. */
async function* documents(stream) {
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines.filter(Boolean)) yield JSON.parse(line);
  }
}

const topics = {
  async life_cycle() {
    const box = await create('life', 'sleep 1000');
    await box.start();
    const running = await box.inspect();
    assert.equal(running.State.Status, 'running');
    assert.deepEqual((await docker.listContainers()).map((found) => found.Names), [['/life']]);
    await box.rename({ name: 'lives' });
    await box.pause();
    await box.unpause();
    assert.match((await box.top()).Processes.flat().join(' '), /sleep 1000/);
    await box.stop({ t: 0 });
    assert.equal((await box.wait()).StatusCode, 137);
    await box.remove();
    await assert.rejects(box.inspect(), { statusCode: 404 });
  },

  async exec() {
    const box = await create('exec', 'sleep 1000');
    await box.start();
    const exec = await box.exec({
      Cmd: ['sh', '-c', 'cat; echo wrong >&2; exit 4'], AttachStdin: true, AttachStdout: true, AttachStderr: true,
    });
    const stream = await exec.start({ hijack: true, stdin: true });
    const output = new Output().of(stream);
    stream.end('typed\n');
    const { out, err } = await output;
    assert.deepEqual([out, err], ['typed\n', 'wrong\n']);
    assert.equal((await exec.inspect()).ExitCode, 4);
    await box.remove({ force: true });
  },

  async attach() {
    const box = await create('attach', 'read line; echo got $line; echo wrong >&2', { OpenStdin: true, StdinOnce: true });
    const stream = await box.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
    const output = new Output().of(stream);
    await box.start();
    stream.write('this\n');
    const { out, err } = await output;
    assert.deepEqual([out, err], ['got this\n', 'wrong\n']);
    await box.remove();
  },

  async logs() {
    const box = await create('logs', 'echo one; echo two >&2; echo three');
    await box.start();
    await box.wait();
    const { out, err } = await new Output().of(await box.logs({ follow: true, stdout: true, stderr: true }));
    assert.deepEqual([out, err], ['one\nthree\n', 'two\n']);
    await box.remove();
    const lines = await create('lines', 'seq 1 3');
    await lines.start();
    await lines.wait();
    const last = await lines.logs({ stdout: true, stderr: true, tail: 1 });
    assert.equal(last.subarray(8).toString(), '3\n');
    await lines.remove();
  },

  async stats() {
    const box = await create('stats', 'sleep 1000');
    await box.start();
    const one = await box.stats({ stream: false });
    assert.equal(one.id, box.id);
    assert.ok(one.memory_stats.usage > 0 && one.cpu_stats.online_cpus > 0);
    const stream = await box.stats({ stream: true });
    for await (const sample of documents(stream)) {
      assert.equal(sample.name, '/stats');
      break;
    }
    await box.remove({ force: true });
  },

  async events() {
    const stream = await docker.getEvents({ filters: { type: ['container'] } });
    const box = await create('events', 'exit 0');
    await box.start();
    await box.wait();
    await box.remove();
    const seen = [];
    for await (const event of documents(stream)) {
      seen.push(event.Action);
      if (event.Action === 'destroy') break;
    }
    assert.deepEqual(seen, ['create', 'start', 'die', 'destroy']);
  },

  async archive() {
    const box = await create('archive', 'cat /etc/hostname');
    const packed = await box.getArchive({ path: '/bin/sh' });
    await box.putArchive(packed, { path: '/tmp' });
    const info = await box.infoArchive({ path: '/tmp/sh' });
    assert.equal(info.statusCode, 200);
    info.resume();
    assert.ok((await box.changes()).some((change) => change.Path === '/tmp/sh' && change.Kind === 1));
    const image = await box.commit({ repo: 'committed', tag: 'node' });
    assert.match(image.Id, /^sha256:/);
    await docker.getImage('committed:node').remove();
    await box.remove();
  },

  async run() {
    let out = '';
    const sink = new Writable({
      write: (chunk, _, done) => {
        out += chunk;
        done();
      },
    });
    const [result, box] = await docker.run('busybox', ['sh', '-c', 'echo run; exit 2'], sink);
    assert.equal(result.StatusCode, 2);
    // The end and the output come by two connections, and dockerode waits for the end alone.
    while (!out.endsWith('\n')) {
      await new Promise((resume) => setTimeout(resume, 10));
    }
    assert.match(out, /^run\r?\n$/);
    await box.remove();
    // Without an upgrade, on a connection that was used before.
    const keeper = await create('keeper', 'sleep 1000');
    await keeper.start();
    const exec = await keeper.exec({ Cmd: ['sh', '-c', 'echo plain; exit 6'], AttachStdout: true });
    assert.equal((await new Output().of(await exec.start({}))).out, 'plain\n');
    assert.equal((await exec.inspect()).ExitCode, 6);
    await keeper.remove({ force: true });
  },
};

topics[process.argv[2]]().catch((error) => {
  console.error(error);
  process.exit(1);
});
