// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scopes are those that may send.
var scopes = []string{"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}

// skew is how far the clock of a client may be off.
const skew = 5 * time.Minute

// account is a service account.
type account struct {
	email, keyID, project string
	private               *rsa.PrivateKey
}

func newAccount(project string) (*account, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("drawing an account's key: %w", err)
	}
	return &account{
		email: "firebase-adminsdk-test@" + project + ".iam.gserviceaccount.com", keyID: "0123456789abcdef0123456789abcdef01234567",
		project: project, private: private,
	}, nil
}

// file is what Firebase's console writes.
func (a *account) file(tokenURI string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.private)
	if err != nil {
		return nil, fmt.Errorf("writing an account's key: %w", err)
	}
	return json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": a.project, "private_key_id": a.keyID,
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": a.email, "client_id": "100000000000000000000",
		"auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": tokenURI, "universe_domain": "googleapis.com",
	}, "", "  ")
}

// refusal is what Google says of an assertion; its word is empty where there is nothing to say.
type refusal struct{ word, text string }

// verify judges an assertion (RFC 7523, section 3) at a moment.
func (a *account) verify(assertion, audience string, now time.Time) refusal {
	const grant = "invalid_grant"
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return refusal{grant, "Invalid JWT: three parts are needed"}
	}
	var header struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decode(parts[0], &header) != nil || decode(parts[1], &claims) != nil {
		return refusal{grant, "Invalid JWT: it cannot be read"}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	at := time.Unix(claims.Iat, 0)
	switch {
	case header.Alg != "RS256" || header.Typ != "JWT" || header.Kid != a.keyID:
		return refusal{grant, "Invalid JWT: alg, typ or kid"}
	case rsa.VerifyPKCS1v15(&a.private.PublicKey, crypto.SHA256, digest[:], signature) != nil:
		return refusal{grant, "Invalid JWT Signature."}
	case claims.Iss != a.email:
		return refusal{grant, "Invalid grant: account not found"}
	case claims.Aud != audience:
		return refusal{grant, "Invalid JWT: failed audience check"}
	case claims.Exp-claims.Iat > 3600 || claims.Exp <= now.Unix() || at.After(now.Add(skew)) || at.Before(now.Add(-time.Hour-skew)):
		return refusal{grant, "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."}
	case !slices.Contains(scopes, claims.Scope):
		return refusal{"invalid_scope", "Invalid OAuth scope or ID token audience provided."}
	}
	return refusal{}
}

func decode(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
