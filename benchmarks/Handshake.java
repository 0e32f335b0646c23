import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.CallbackHandler;
import javax.security.auth.callback.NameCallback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.sasl.AuthorizeCallback;
import javax.security.sasl.RealmCallback;
import javax.security.sasl.Sasl;
import javax.security.sasl.SaslClient;
import javax.security.sasl.SaslServer;

/** Runs DIGEST-MD5 handshakes of both sides: reads "qop cipher count", answers with nanoseconds. */
public class Handshake {
    private static final String[] CLIENT = {"DIGEST-MD5"};

    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            Map<String, Object> properties = new HashMap<>();
            properties.put(Sasl.QOP, words[0]);
            properties.put("com.sun.security.sasl.digest.realm", "example.test");
            if (!words[1].equals("-")) {
                properties.put("com.sun.security.sasl.digest.cipher", words[1]);
            }
            int count = Integer.parseInt(words[2]);
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                once(properties);
            }
            System.out.println(System.nanoTime() - start);
            System.out.flush();
        }
    }

    private static void once(Map<String, Object> properties) throws Exception {
        CallbackHandler callbacks = Handshake::answer;
        SaslClient client = Sasl.createSaslClient(CLIENT, null, "ldap", "ldap.example.test", properties, callbacks);
        SaslServer server = Sasl.createSaslServer("DIGEST-MD5", "ldap", "ldap.example.test", properties, callbacks);
        byte[] challenge = server.evaluateResponse(new byte[0]);
        byte[] response = client.evaluateChallenge(challenge);
        byte[] proof = server.evaluateResponse(response);
        client.evaluateChallenge(proof);
        if (!client.isComplete() || !server.isComplete()) {
            throw new IllegalStateException("not complete");
        }
        client.dispose();
        server.dispose();
    }

    private static void answer(Callback[] callbacks) {
        for (Callback callback : callbacks) {
            if (callback instanceof NameCallback name) {
                name.setName("alice");
            } else if (callback instanceof PasswordCallback password) {
                password.setPassword("wonderland".toCharArray());
            } else if (callback instanceof RealmCallback realm) {
                realm.setText(realm.getDefaultText());
            } else if (callback instanceof AuthorizeCallback authorize) {
                authorize.setAuthorized(true);
                authorize.setAuthorizedID(authorize.getAuthorizationID());
            }
        }
    }
}
