// SPDX-License-Identifier: Apache-2.0

package clientcert

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Field holds the certificate that the client has shown (RFC 9440 2.2), and Chain those by which it is vouched for (2.3).
const Field, Chain = "Client-Cert", "Client-Cert-Chain"

// maxChain is how many certificates a chain may have beyond the client's own, and maxCertificate how long each may be, in base64.
const maxChain, maxCertificate = 8, 16 << 10

var (
	errTwice     = errors.New("stands twice")
	errForm      = errors.New("is no byte sequence of base64 between colons")
	errMany      = errors.New("has too many certificates")
	errLong      = errors.New("has a certificate that is too long")
	errChainOnly = errors.New("comes without " + Field)
)

// Read returns the certificates that the fields of a request hold, the client's own first; none where there are no fields, or where the first
// is empty, as it is written by proxies that know no condition. Fields that are anything else than RFC 9440 says are an error: a
// proxy that writes them is not set up as it should be.
func Read(header http.Header) ([]*x509.Certificate, error) {
	own, err := readOwn(header[Field])
	if err != nil {
		return nil, fmt.Errorf("%s %w", Field, err)
	}
	others, err := readChain(header[Chain])
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %w", Chain, err)
	case own == nil && others != nil:
		return nil, fmt.Errorf("%s %w", Chain, errChainOnly) // 2.3
	case own == nil:
		return nil, nil
	}
	return append([]*x509.Certificate{own}, others...), nil
}

func readOwn(lines []string) (*x509.Certificate, error) {
	switch {
	case len(lines) == 0:
		return nil, nil
	case len(lines) > 1:
		return nil, errTwice
	case strings.TrimSpace(lines[0]) == "::":
		return nil, nil
	}
	return read(lines[0])
}

// readChain reads a list, which may go over several lines (RFC 9651 4.2).
func readChain(lines []string) (chain []*x509.Certificate, err error) {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if len(chain) == maxChain {
				return nil, errMany
			}
			c, err := read(item)
			if err != nil {
				return nil, err
			}
			chain = append(chain, c)
		}
	}
	return chain, nil
}

// read reads a byte sequence (RFC 9651 3.3.5) without parameters, which RFC 9440 has none of.
func read(item string) (*x509.Certificate, error) {
	item = strings.Trim(item, " \t")
	if len(item) > maxCertificate {
		return nil, errLong
	}
	if len(item) < 2 || item[0] != ':' || item[len(item)-1] != ':' {
		return nil, errForm
	}
	der, err := base64.StdEncoding.Strict().DecodeString(item[1 : len(item)-1])
	if err != nil {
		return nil, errForm
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("has no certificate: %w", err)
	}
	return c, nil
}
