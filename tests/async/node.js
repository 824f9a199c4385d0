// SPDX-License-Identifier: ISC
// Many connections of node at once: node.js net|http|fetch HOST PORT COUNT SECONDS
// Prints how many ended how, in the words of waiters.py.

'use strict';
const diagnostics = require('diagnostics_channel');
const http = require('http');
const net = require('net');

const ANSWER = 'hello through the proxy\n';
const [way, host, port, count, seconds] = process.argv.slice(2);
const limit = Number(seconds) * 1000;

function byNet(resolve) {
	let connected = false;
	let answer = '';
	const socket = net.connect({ host, port });
	socket.setTimeout(limit, () => {
		resolve(connected ? 'silent' : 'timeout');
		socket.destroy();
	});
	socket.on('connect', () => {
		connected = true;
		socket.write('GET /hello HTTP/1.0\r\n\r\n');
	});
	socket.on('data', (data) => { answer += data; });
	socket.on('end', () => resolve(answer.endsWith(ANSWER) ? 'ok' : 'cut'));
	socket.on('error', (error) => resolve(error.code));
}

function byHttp(resolve) {
	let connected = false;
	const options = { host, port, path: '/hello', agent: false, timeout: limit };
	const request = http.get(options, (response) => {
		let answer = '';
		response.on('data', (data) => { answer += data; });
		response.on('end', () => resolve(answer === ANSWER ? 'ok' : 'cut'));
	});
	request.on('socket', (socket) => socket.on('connect', () => { connected = true; }));
	request.on('timeout', () => {
		resolve(connected ? 'silent' : 'timeout');
		request.destroy();
	});
	request.on('error', (error) => resolve(error.code));
}

// fetch() itself does not tell what it waited for.
let fetchConnected = false;
diagnostics.subscribe('undici:client:connected', () => { fetchConnected = true; });

function timeoutOfFetch(error) {
	if (error.name !== 'TimeoutError')
		return null;
	return fetchConnected ? 'silent' : 'timeout';
}

async function byFetch(resolve) {
	try {
		const url = `http://${host}:${port}/hello`;
		const response = await fetch(url, { signal: AbortSignal.timeout(limit) });
		resolve(await response.text() === ANSWER ? 'ok' : 'cut');
	} catch (error) {
		resolve(timeoutOfFetch(error) ?? error.cause?.code ?? error.name);
	}
}

async function main() {
	const one = { net: byNet, http: byHttp, fetch: byFetch }[way];
	const all = Array.from({ length: Number(count) }, () => new Promise(one));
	const numbers = {};
	for (const outcome of await Promise.all(all))
		numbers[outcome] = (numbers[outcome] ?? 0) + 1;
	for (const outcome of Object.keys(numbers).sort())
		console.log(numbers[outcome], outcome);
	process.exit();
}

main();
