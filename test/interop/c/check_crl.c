/*
 * Judges certificates with Mbed TLS. Arguments: root and issuing certificate (one PEM file), revocation
 * lists (one PEM file), leaves. Prints a line for each leaf: its name, then "good" or the reasons.
 */

#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **words) {
  mbedtls_x509_crt trusted;
  mbedtls_x509_crl lists;
  mbedtls_x509_crt_init(&trusted);
  mbedtls_x509_crl_init(&lists);
  if (count < 4) return 2;
  int failed = mbedtls_x509_crt_parse_file(&trusted, words[1]);
  if (failed != 0) {
    printf("certificates: -0x%04x\n", (unsigned)-failed);
    return 1;
  }
  failed = mbedtls_x509_crl_parse_file(&lists, words[2]);
  if (failed != 0) {
    printf("lists: -0x%04x\n", (unsigned)-failed);
    return 1;
  }
  for (int at = 3; at < count; at++) {
    mbedtls_x509_crt leaf;
    mbedtls_x509_crt_init(&leaf);
    if (mbedtls_x509_crt_parse_file(&leaf, words[at]) != 0) return 1;
    uint32_t flags = 0;
    char reasons[1024] = "good";
    if (mbedtls_x509_crt_verify(&leaf, &trusted, &lists, NULL, &flags, NULL, NULL) != 0) {
      mbedtls_x509_crt_verify_info(reasons, sizeof reasons, "", flags);
      for (char *end = strchr(reasons, '\n'); end != NULL; end = strchr(end, '\n')) *end = ' ';
    }
    printf("%s %s\n", words[at], reasons);
    mbedtls_x509_crt_free(&leaf);
  }
  mbedtls_x509_crl_free(&lists);
  mbedtls_x509_crt_free(&trusted);
  return 0;
}
