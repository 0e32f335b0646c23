// OpenJDK's SASL server, one line at a time: `java SaslServer.java MECHANISM PROTOCOL SERVER QOP USER PASSWORD`.
// A line is a message in base64; "-" is no message. After "done", "wrap DATA" and "unwrap DATA" answer with a line.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import java.util.Map;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.NameCallback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.sasl.AuthorizeCallback;
import javax.security.sasl.RealmCallback;
import javax.security.sasl.Sasl;

public class SaslServer {
    static void say(String kind, byte[] data) {
        System.out.println(kind + (data == null ? "-" : "=" + Base64.getEncoder().encodeToString(data)));
        System.out.flush();
    }

    static byte[] decoded(String text) {
        return Base64.getDecoder().decode(text);
    }

    public static void main(String[] a) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        javax.security.sasl.SaslServer server =
            Sasl.createSaslServer(a[0], a[1], a[2], Map.of(Sasl.QOP, a[3]), callbacks -> {
                for (Callback callback : callbacks) {
                    if (callback instanceof NameCallback name) {
                        name.setName(name.getDefaultName());
                    } else if (callback instanceof PasswordCallback password) {
                        password.setPassword(a[5].toCharArray());
                    } else if (callback instanceof RealmCallback realm) {
                        realm.setText(realm.getDefaultText());
                    } else if (callback instanceof AuthorizeCallback authorize) {
                        authorize.setAuthorized(true);
                    }
                }
            });
        for (String line; (line = input.readLine()) != null;) {
            String[] words = line.split("=", 2);
            byte[] data = decoded(words[1]);
            try {
                if (words[0].equals("step")) {
                    byte[] answer = server.evaluateResponse(data);
                    say(server.isComplete() ? "done" : "more", answer);
                } else if (words[0].equals("wrap")) {
                    say("wrap", server.wrap(data, 0, data.length));
                } else {
                    say("unwrap", server.unwrap(data, 0, data.length));
                }
            } catch (Exception error) {
                say("refused", error.toString().getBytes("UTF-8"));
            }
        }
    }
}
