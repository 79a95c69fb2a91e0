// The walkthrough's HTTPS server: it asks for a client certificate and says whose it got.
// node server.mjs KEY CERTIFICATE CA PORT
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [key, cert, ca, port] = process.argv.slice(2);
const files = { key: readFileSync(key), cert: readFileSync(cert), ca: readFileSync(ca) };
createServer({ ...files, requestCert: true, rejectUnauthorized: true }, (request, response) => {
  response.end(`Hello ${request.socket.getPeerCertificate().subject.CN}\n`);
}).listen(Number(port), "127.0.0.1");
