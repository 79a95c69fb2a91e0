import java.io.FileInputStream;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Validates chains with revocation on: by CRL (fetched from the certificate's distribution point),
 * by OCSP (asked at the certificate's address; the issuing certificate by CRL). All of it is
 * fetched from the addresses in the certificates. Arguments: root, issuing, leaves.
 * Prints a line for each leaf and way: name, way, "good" or the reason of the refusal.
 */
class CheckRevocation {
  static final CertificateFactory factory;

  static {
    try {
      factory = CertificateFactory.getInstance("X.509");
    } catch (Exception error) {
      throw new ExceptionInInitializerError(error);
    }
  }

  public static void main(String[] args) throws Exception {
    System.setProperty("com.sun.security.enableCRLDP", "true");
    X509Certificate root = read(args[0]);
    X509Certificate issuing = read(args[1]);
    for (int at = 2; at < args.length; at++) {
      CertPath path = factory.generateCertPath(List.of(read(args[at]), issuing));
      for (boolean ocsp : new boolean[] {false, true}) {
        System.out.println(args[at] + " " + (ocsp ? "ocsp" : "crl") + " "
            + judge(path, root, ocsp));
      }
    }
  }

  static String judge(CertPath path, X509Certificate root, boolean ocsp) throws Exception {
    CertPathValidator validator = CertPathValidator.getInstance("PKIX");
    PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
    // The root answers no OCSP, so that way falls back to its list. By CRL nothing falls back.
    if (!ocsp) {
      checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK,
          PKIXRevocationChecker.Option.PREFER_CRLS));
    }
    PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
    parameters.addCertPathChecker(checker);
    try {
      validator.validate(path, parameters);
      return "good";
    } catch (CertPathValidatorException error) {
      return "certificate " + error.getIndex() + " " + error.getReason() + ": "
          + error.getMessage();
    }
  }

  static X509Certificate read(String file) throws Exception {
    try (FileInputStream in = new FileInputStream(file)) {
      return (X509Certificate) factory.generateCertificate(in);
    }
  }
}
