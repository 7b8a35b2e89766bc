// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
)

// Pool returns the certificate authorities of the file that the option ca_file names. Without one it is nil, which stands for
// those of the system.
func Pool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	found, err := Certificates(path)
	if err != nil {
		return nil, fmt.Errorf("ca_file %q: %w", path, err)
	}
	pool := x509.NewCertPool()
	for _, certificate := range found {
		pool.AddCert(certificate)
	}
	return pool, nil
}

// Certificates reads the certificates of a PEM file, which holds nothing else. The path may have placeholders.
func Certificates(path string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(caddy.NewReplacer().ReplaceAll(path, ""))
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s beside certificates", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return found, nil
}

// Pair reads a certificate and its key, each from a PEM file. The paths may have placeholders.
func Pair(certificate, key string) (tls.Certificate, error) {
	replacer := caddy.NewReplacer()
	return tls.LoadX509KeyPair(replacer.ReplaceAll(certificate, ""), replacer.ReplaceAll(key, ""))
}
