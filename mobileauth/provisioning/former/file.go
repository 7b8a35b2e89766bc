// SPDX-License-Identifier: Apache-2.0

package former

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxFile is the most bytes of a file with certificates or a key.
const MaxFile = 1 << 20

// How to get out of a key store what is asked for.
const (
	exportJKS    = `it is a Java key store: write the certificate of its authority out with "keytool -exportcert -rfc -keystore FILE -alias ALIAS -file ca.pem"`
	exportPKCS12 = `it is a PKCS#12 key store: write the certificate of its authority out with "openssl pkcs12 -in FILE -nokeys -out ca.pem"`
	exportKey    = `"openssl pkcs12 -in FILE -nocerts -noenc -out key.pem" writes a key out, of a Java key store after ` +
		`"keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12"`
)

// ParseIssuers reads the certificates of a former authority, in PEM, and refuses those by which nobody is to be believed: see
// [CheckIssuer]. For a key store it says how to export them.
func ParseIssuers(file []byte) (all []*x509.Certificate, err error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes", MaxFile)
	}
	if hint := keyStore(file); hint != "" {
		return nil, errors.New(hint)
	}
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s beside certificates, and the certificates are enough", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			err = CheckIssuer(c)
		}
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return all, nil
}

// keyStore says how to export something from a file that is a key store; empty for another file.
func keyStore(file []byte) string {
	switch {
	case bytes.HasPrefix(file, []byte{0xfe, 0xed, 0xfe, 0xed}), bytes.HasPrefix(file, []byte{0xce, 0xce, 0xce, 0xce}): // JKS, JCEKS
		return exportJKS
	case len(file) > 1 && file[0] == 0x30 && file[1] >= 0x80: // an ASN.1 sequence of more than 127 bytes
		return exportPKCS12
	}
	return ""
}

// CheckKey refuses a private key, in PEM, that is not the one of a certificate. Nothing of it is kept.
func CheckKey(file []byte, of *x509.Certificate) error {
	block, _ := pem.Decode(file)
	switch {
	case len(file) > MaxFile:
		return fmt.Errorf("it has more than %d bytes", MaxFile)
	case keyStore(file) != "":
		return errors.New("it is a key store: " + exportKey)
	case block == nil:
		return errors.New("it holds no key in PEM: " + exportKey)
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return errors.New(`the key is encrypted: "openssl pkey -in FILE -out key.pem" writes it in clear`)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	if err != nil {
		return errors.New("it holds no private key") // the cause may quote some of it
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return errors.New("the key does not sign")
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(of.PublicKey) {
		return errors.New("it is not the key of the certificate")
	}
	return nil
}
