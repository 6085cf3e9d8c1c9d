import java.io.IOException;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/** Holds more connections than the range has ports, opened by several threads. */
public class Connections {
    public static void main(String[] arguments) throws InterruptedException {
        List<Socket> held = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int n = 0; n < 3; n++) {
            Thread one = new Thread(() -> {
                for (int m = 0; m < 6; m++) {
                    try {
                        Socket socket = new Socket(arguments[0], Integer.parseInt(arguments[1]));
                        synchronized (held) {
                            held.add(socket);
                        }
                    } catch (IOException refused) {
                        // Counted below.
                    }
                }
            });
            one.start();
            threads.add(one);
        }
        for (Thread one : threads) {
            one.join();
        }
        System.out.println(18 - held.size() + " refused");
    }
}
