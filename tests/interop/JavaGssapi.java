// OpenJDK's GSSAPI, one line at a time: `java JavaGssapi.java client|server QOP`.
// A line is a message in base64; "-" is no message. After "done", "wrap DATA" and "unwrap DATA" answer with a line.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import java.util.Map;
import javax.security.auth.callback.Callback;
import javax.security.sasl.AuthorizeCallback;
import javax.security.sasl.Sasl;
import javax.security.sasl.SaslClient;
import javax.security.sasl.SaslServer;

public class JavaGssapi {
    interface Step {
        byte[] apply(byte[] message) throws Exception;
    }

    interface Code {
        byte[] apply(byte[] data, int offset, int length) throws Exception;
    }

    static final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));

    static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static String encoded(byte[] data) {
        return data == null ? "-" : "=" + Base64.getEncoder().encodeToString(data);
    }

    static byte[] decoded(String line) {
        return Base64.getDecoder().decode(line.substring(1));
    }

    static void layer(Code wrap, Code unwrap) throws Exception {
        for (String line; (line = input.readLine()) != null;) {
            byte[] data = decoded(line.substring(line.indexOf(' ') + 1));
            say(encoded((line.startsWith("wrap") ? wrap : unwrap).apply(data, 0, data.length)));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> properties = Map.of(Sasl.QOP, arguments[1]);
        if (arguments[0].equals("client")) {
            SaslClient client =
                Sasl.createSaslClient(new String[] {"GSSAPI"}, null, "ldap", "localhost", properties, null);
            say(encoded(client.evaluateChallenge(new byte[0])));
            while (!client.isComplete()) {
                say(encoded(client.evaluateChallenge(decoded(input.readLine()))));
            }
            say("done " + client.getNegotiatedProperty(Sasl.QOP));
            layer(client::wrap, client::unwrap);
        } else {
            SaslServer server = Sasl.createSaslServer("GSSAPI", "ldap", "localhost", properties, callbacks -> {
                for (Callback callback : callbacks) {
                    ((AuthorizeCallback) callback).setAuthorized(true);
                }
            });
            while (!server.isComplete()) {
                say(encoded(server.evaluateResponse(decoded(input.readLine()))));
            }
            say("done " + server.getNegotiatedProperty(Sasl.QOP) + " " + server.getAuthorizationID());
            layer(server::wrap, server::unwrap);
        }
    }
}
