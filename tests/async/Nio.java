// SPDX-License-Identifier: ISC
// Many connects at once with java.nio: Nio before|after HOST PORT COUNT SECONDS
// (is the channel registered before its connect?)  Prints how many ended how, in
// the words of waiters.py.

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

final class Nio {
	private static final byte[] REQUEST =
		"GET /hello HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
	private static final String ANSWER = "hello through the proxy\n";

	private final Map<String, Integer> outcomes = new TreeMap<>();
	private final Selector selector = Selector.open();
	private int left;

	private Nio() throws IOException {
	}

	private void end(SelectionKey key, String outcome) throws IOException {
		outcomes.merge(outcome, 1, Integer::sum);
		key.channel().close();
		left--;
	}

	private static String name(IOException error) {
		boolean refused = error instanceof ConnectException
			&& error.getMessage().contains("refused");
		return refused ? "ECONNREFUSED" : error.toString();
	}

	private void begin(boolean before, InetSocketAddress target, int count) throws IOException {
		SocketChannel[] channels = new SocketChannel[count];

		left = count;
		for (int i = 0; i < count; i++) {
			channels[i] = SocketChannel.open();
			channels[i].configureBlocking(false);
			if (before)
				channels[i].register(selector, SelectionKey.OP_CONNECT, new StringBuilder());
		}
		if (before) {
			// The registration gets to the kernel in a select only, and there an
			// unconnected socket counts as hung up.
			selector.selectNow();
			selector.selectedKeys().clear();
		}
		for (SocketChannel channel : channels) {
			if (channel.connect(target))
				throw new IOException("connected at once");
			if (!before)
				channel.register(selector, SelectionKey.OP_CONNECT, new StringBuilder());
		}
	}

	private void step(SelectionKey key) throws IOException {
		SocketChannel channel = (SocketChannel) key.channel();
		StringBuilder answer = (StringBuilder) key.attachment();

		if (key.isConnectable()) {
			if (!channel.finishConnect()) {
				end(key, "early");
				return;
			}
			channel.write(ByteBuffer.wrap(REQUEST));
			key.interestOps(SelectionKey.OP_READ);
			return;
		}
		ByteBuffer buffer = ByteBuffer.allocate(4096);
		if (channel.read(buffer) < 0)
			end(key, answer.toString().endsWith(ANSWER) ? "ok" : "cut");
		else
			answer.append(StandardCharsets.US_ASCII.decode(buffer.flip()));
	}

	private void run(double seconds) throws IOException {
		long limit = System.nanoTime() + (long) (seconds * 1e9);

		for (long now; left > 0 && (now = System.nanoTime()) < limit; ) {
			selector.select(Math.max(1, (limit - now) / 1000000));
			for (SelectionKey key : selector.selectedKeys()) {
				try {
					step(key);
				} catch (IOException error) {
					end(key, name(error));
				}
			}
			selector.selectedKeys().clear();
		}
		for (SelectionKey key : selector.keys())
			if (key.isValid())
				outcomes.merge(((SocketChannel) key.channel()).isConnected()
					? "silent" : "timeout", 1, Integer::sum);
	}

	public static void main(String[] args) throws IOException {
		Nio nio = new Nio();

		nio.begin(args[0].equals("before"),
			new InetSocketAddress(args[1], Integer.parseInt(args[2])),
			Integer.parseInt(args[3]));
		nio.run(Double.parseDouble(args[4]));
		nio.outcomes.forEach((outcome, number) -> System.out.println(number + " " + outcome));
	}
}
