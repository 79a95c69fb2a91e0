// A certificate for a service in Go, with nothing but the standard library. Prints the chain.
//
//	go run certificates.go enrol URL ROOT TOKEN-FILE REQUEST-FILE
//	go run certificates.go renew URL ROOT CERTIFICATE-FILE KEY-FILE
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Fatal("usage: certificates enrol|renew URL ROOT FILE FILE")
	}
	action, url, root := os.Args[1], os.Args[2], os.Args[3]
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(read(root))
	settings := &tls.Config{RootCAs: trusted}
	var request *http.Request
	if action == "enrol" {
		request = post(url+"/v1/certificates", read(os.Args[5]))
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(read(os.Args[4]))))
	} else {
		own, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
		check(err)
		settings.Certificates = []tls.Certificate{own}
		request = post(url+"/v1/certificates/renew", nil)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: settings}}
	answer, err := client.Do(request)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode != http.StatusCreated && answer.StatusCode != http.StatusOK {
		log.Fatal(string(text))
	}
	os.Stdout.Write(text)
}

func post(url string, body []byte) *http.Request {
	request, err := http.NewRequest("POST", url, bytes.NewReader(body))
	check(err)
	return request
}

func read(file string) []byte {
	content, err := os.ReadFile(file)
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
