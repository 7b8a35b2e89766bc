// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"encoding/json"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// outgoing says how a message is sealed.
type outgoing struct {
	typ   string
	key   jose.PrivateKey
	to    EncKey
	limit int
}

// seal signs claims and encrypts the result: in this order, so that nobody but the recipient learns who signed, and with the
// recipient among the claims, so that the recipient cannot pass it on as meant for somebody else.
func seal(claims any, o outgoing) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", refuse(ReasonBody, "encoding a message: %w", err)
	}
	token, err := sign(payload, o.typ, o.key, o.limit)
	if err != nil {
		return "", err
	}
	sealed, err := encryption(o.limit).Seal(o.to.key, []byte(token))
	if err != nil {
		return "", refuse(ReasonSize, "encrypting a message: %w", err)
	}
	return sealed, nil
}

func sign(payload []byte, typ string, key jose.PrivateKey, limit int) (string, error) {
	if key.Alg != jose.ES256 || key.Signer == nil || key.KID == "" {
		return "", refuse(ReasonKeys, "signing with a key that is not for ES256 or has no name")
	}
	signer, err := jose.NewSigner(key, typ)
	if err != nil {
		return "", refuse(ReasonKeys, "signing: %w", err)
	}
	token, err := signer.SignUpTo(payload, limit)
	if err != nil {
		return "", refuse(ReasonToken, "signing: %w", err)
	}
	return token, nil
}

// open decrypts a message and reads the token in it.
func open(sealed jose.Sealed, key jose.DecryptionKey, typ string) (jose.Token, error) {
	plaintext, err := sealed.Open(key)
	if err != nil {
		return jose.Token{}, refuse(ReasonDecryption, "decrypting a message: %w", err)
	}
	return parse(string(plaintext), typ)
}

// parse reads a token whose header is exactly alg, kid and typ.
func parse(raw, typ string) (jose.Token, error) {
	token, err := jose.ParseUpTo(raw, MaxAnswer)
	if err != nil {
		return jose.Token{}, refuse(ReasonToken, "reading a signed message: %w", err)
	}
	if token.Header.Typ != typ {
		return jose.Token{}, refuse(ReasonType, "reading a signed message of another type")
	}
	if token.Header.Alg != jose.ES256 || token.Header.KID == "" || token.Hinted() {
		return jose.Token{}, refuse(ReasonToken, "reading a signed message with another header than alg, typ and kid")
	}
	return token, nil
}

// verify checks that key made the token; the token has to name it.
func verify(token jose.Token, key SignKey) error {
	if key.ID() == "" || token.Header.KID != key.ID() {
		return refuse(ReasonSigningKey, "checking a message signed by another key")
	}
	if err := token.Verify(key.key); err != nil {
		return refuse(ReasonSignature, "checking a message: %w", err)
	}
	return nil
}
