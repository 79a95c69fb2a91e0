/** A real request, for the examples of OpenAPI: CN=web, dns:web.example.test, EC P-256. */
export const exampleCsr =
  "-----BEGIN CERTIFICATE REQUEST-----\n" +
  "MIIBKzCB0QIBADBBMQswCQYDVQQGEwJJTjESMBAGA1UECAwJS2FybmF0YWthMRAw\n" +
  "DgYDVQQKDAdFeGFtcGxlMQwwCgYDVQQDDAN3ZWIwWTATBgcqhkjOPQIBBggqhkjO\n" +
  "PQMBBwNCAARAfpf0EAKx0CnGvNLSzoqX/QFHCKGl+WSwTb0J9EAlRbpH7GI0x3P4\n" +
  "fyp6GuABirIUJy6J58tHakxIgvt8Nwv+oC4wLAYJKoZIhvcNAQkOMR8wHTAbBgNV\n" +
  "HREEFDASghB3ZWIuZXhhbXBsZS50ZXN0MAoGCCqGSM49BAMCA0kAMEYCIQD6QgoX\n" +
  "JQ8URM6f+gg4Wxc80fnHVBDJHlfYhqJOJTXzWgIhAJ+ojRNWvRispSf3c4Wuxv1o\n" +
  "fdbim5T4P+QRp1Fo8Ysr\n" +
  "-----END CERTIFICATE REQUEST-----\n";
