// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/provider"
)

// ErrCredential is wrapped by every error about a service account. None of them repeats any of it.
var ErrCredential = errors.New("credential for Firebase Cloud Messaging refused")

const (
	maxAccount = 64 << 10 // bytes in a file
	minKey     = 2048     // bits of a key
)

// tokenHosts are those that the file of a service account may name.
var tokenHosts = []string{"oauth2.googleapis.com"}

var (
	projectID = regexp.MustCompile(`^[a-z0-9][a-z0-9.:-]{0,99}$`)
	email     = regexp.MustCompile(`^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$`)
	keyName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	// serverKey is what the older API was used with, in its two forms.
	serverKey = regexp.MustCompile(`^(AAAA[A-Za-z0-9_-]{7}:[A-Za-z0-9_-]+|AIza[A-Za-z0-9_-]+)$`)
)

// ServiceAccount may send messages for a project. It does not print its key.
type ServiceAccount struct {
	project, email, keyID, tokenURL string
	key                             []byte // PEM
}

// ParseServiceAccount reads the file that Firebase's console writes (project settings, service accounts, "Generate new private key").
// It refuses, wrapping [ErrCredential], a server key of the older API and the files of clients, each with a word on what is needed, and
// an account whose tokens come from anywhere but Google.
func ParseServiceAccount(data []byte) (*ServiceAccount, error) { return parse(data, tokenHosts) }

// ParseServiceAccountFor is [ParseServiceAccount] for an account whose tokens come from other hosts, as those of a copy of Google's
// services for tests do.
func ParseServiceAccountFor(data []byte, hosts ...string) (*ServiceAccount, error) {
	return parse(data, slices.Concat(tokenHosts, hosts))
}

// file is what is read of a service account's.
type file struct {
	Type        string          `json:"type"`
	ProjectID   string          `json:"project_id"`
	KeyID       string          `json:"private_key_id"`
	Key         string          `json:"private_key"`
	Email       string          `json:"client_email"`
	TokenURI    string          `json:"token_uri"`
	ProjectInfo json.RawMessage `json:"project_info"`
}

func parse(data []byte, hosts []string) (*ServiceAccount, error) {
	refuse := func(why string) (*ServiceAccount, error) {
		return nil, fmt.Errorf("reading a service account: %s: %w", why, ErrCredential)
	}
	var f file
	switch {
	case len(data) > maxAccount:
		return refuse("the file is too large")
	case serverKey.Match(bytes.TrimSpace(data)):
		return refuse("it is a server key of the older API, which Google has switched off; get the file of a service account from " +
			"Firebase's console, project settings, service accounts, \"Generate new private key\"")
	case json.Unmarshal(data, &f) != nil:
		return refuse("it is not the JSON file that Firebase's console writes")
	case f.ProjectInfo != nil:
		return refuse("it is google-services.json, which belongs into the app; a service account is found in Firebase's console, " +
			"project settings, service accounts")
	case f.Type != "service_account":
		return refuse(`its type is not "service_account"`)
	case !projectID.MatchString(f.ProjectID):
		return refuse("project_id is missing or malformed")
	case !keyName.MatchString(f.KeyID):
		return refuse("private_key_id is missing or malformed")
	case !email.MatchString(f.Email):
		return refuse("client_email is missing or malformed")
	case !goodKey(f.Key):
		return refuse(fmt.Sprintf("private_key is not PEM with an RSA key of at least %d bits", minKey))
	case !goodTokenURL(f.TokenURI, hosts):
		return refuse("token_uri is not at " + strings.Join(hosts, " or "))
	}
	return &ServiceAccount{project: f.ProjectID, email: f.Email, keyID: f.KeyID, tokenURL: f.TokenURI, key: []byte(f.Key)}, nil
}

func goodKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	return err == nil && ok && key.N.BitLen() >= minKey
}

// goodTokenURL wants https: a listed host on this computer is a copy of Google's services and has TLS as well.
func goodTokenURL(text string, hosts []string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && slices.Contains(hosts, u.Host) && provider.CheckURL(text) == nil
}

// Project is the Firebase project.
func (a *ServiceAccount) Project() string { return a.project }

// String names the account without its key.
func (a *ServiceAccount) String() string { return "the service account " + a.email }

// GoString keeps %#v from printing the key.
func (a *ServiceAccount) GoString() string { return a.String() }

// LogValue keeps structured logs from printing the key.
func (a *ServiceAccount) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON refuses: a secret is not written by accident.
func (a *ServiceAccount) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("writing a service account: %w", ErrCredential)
}
