import java.io.File;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * A certificate for a service in Java, with nothing but the JDK (11 or later). Prints the chain.
 *
 *   java Certificates.java enrol URL ROOT TOKEN-FILE REQUEST-FILE
 *   java Certificates.java renew URL ROOT P12-FILE PASSWORD-FILE
 */
class Certificates {
  public static void main(String[] args) throws Exception {
    boolean enrols = args[0].equals("enrol");
    HttpClient client = HttpClient.newBuilder()
        .sslContext(enrols ? trust(args[2], null) : trust(args[2], keys(args[3], args[4])))
        .build();
    HttpRequest.Builder request = HttpRequest.newBuilder();
    if (enrols) {
      request.uri(URI.create(args[1] + "/v1/certificates"))
          .header("Authorization", "Bearer " + Files.readString(Path.of(args[3])).strip())
          .POST(BodyPublishers.ofFile(Path.of(args[4])));
    } else {
      request.uri(URI.create(args[1] + "/v1/certificates/renew")).POST(BodyPublishers.noBody());
    }
    HttpResponse<String> answer = client.send(request.build(), BodyHandlers.ofString());
    boolean good = answer.statusCode() == 201 || answer.statusCode() == 200;
    (good ? System.out : System.err).print(answer.body());
    System.exit(good ? 0 : 1);
  }

  /** Trusts this root alone; shows what the key managers hold. */
  static SSLContext trust(String root, KeyManagerFactory keys) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = Files.newInputStream(Path.of(root))) {
      store.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trusted.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys == null ? null : keys.getKeyManagers(), trusted.getTrustManagers(), null);
    return context;
  }

  static KeyManagerFactory keys(String file, String passwordFile) throws Exception {
    char[] password = Files.readString(Path.of(passwordFile)).strip().toCharArray();
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(KeyStore.getInstance(new File(file), password), password);
    return keys;
  }
}
