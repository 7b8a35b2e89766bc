// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"crypto/subtle"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/signing"
)

// Media types of answers, so that one kind is nothing for another.
const (
	// TypPresence is an answer by the key of a certificate: the device is there.
	TypPresence = "gatehouse-device+jwt"
	// TypRequest is an answer that hands in a certificate request.
	TypRequest = "gatehouse-csr+jwt"
	// TypPossession is what another key says to a renewal for it.
	TypPossession = "gatehouse-possession+jwt"
)

// Limits of an answer.
const (
	maxCustom       = 16  // properties of the app's own
	maxProperty     = 256 // characters of a property
	maxInstallation = 64  // characters of what a device calls itself
)

// App is what an app says of itself.
type App struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

// Device is what a device says of itself. It is a claim: nothing rests on it.
type Device struct {
	Model     string `json:"model,omitempty"`
	OS        string `json:"os,omitempty"`
	OSVersion string `json:"os_version,omitempty"`
}

// Claims is the payload of an answer.
type Claims struct {
	// Audience is the issuer, Realm the realm that asked, and Nonce what it asked with.
	Audience string `json:"aud"`
	Realm    string `json:"realm"`
	Nonce    string `json:"nonce"`
	// Installation is what the device calls itself: random, and kept with the key. It tells somebody who asks again because an answer
	// was lost from somebody else with the same key.
	Installation string `json:"installation"`
	App          App    `json:"app"`
	Device       Device `json:"device"`
	// Custom is what the app has to say to an operator's hooks, such as an activation code.
	Custom map[string]string `json:"custom,omitempty"`
	// CSR is the SHA-256, in base64url, of the request that the answer hands in.
	CSR string `json:"csr,omitempty"`
	// Possession is, in a renewal for another key, what that key says to it: a JWS of the type [TypPossession].
	Possession string `json:"possession,omitempty"`
}

// Possession is what a key says to the renewal of a certificate for it: that it is there, now, and wants to be that device's.
type Possession struct {
	Audience string `json:"aud"`
	Realm    string `json:"realm"`
	Nonce    string `json:"nonce"`
	// CSR is the SHA-256 of the request, and Renews the id of the certificate that it renews.
	CSR    string `json:"csr"`
	Renews string `json:"renews"`
}

// possessed refuses a request for another key which that key has not agreed to. Its own signature is in the request, but that may be one
// that somebody else has made, for another server or long ago.
func (c *Claims) possessed(q Question, csr *CSR, renews string) error {
	var said Possession
	by, err := readSigned(c.Possession, TypPossession, &said)
	if err != nil || by.KID != "" || !by.By(csr.Parsed.PublicKey) {
		return refuse(ReasonPossession)
	}
	if said != (Possession{Audience: q.Audience, Realm: q.Realm, Nonce: q.Nonce, CSR: csr.Hash, Renews: renews}) {
		return refuse(ReasonPossession)
	}
	return nil
}

// Question is what an answer has to be to.
type Question struct {
	Audience, Realm, Nonce string
}

// answer is one that was read and not yet believed.
type answer struct {
	by     signing.Signed
	claims Claims
}

// readAnswer reads an answer of a media type.
func readAnswer(raw, typ string) (*answer, error) {
	a := new(answer)
	var err error
	if a.by, err = readSigned(raw, typ, &a.claims); err != nil {
		return nil, err
	}
	if !a.claims.plain() {
		return nil, refuse(ReasonAnswer)
	}
	return a, nil
}

// readSigned reads what a key of a device has signed, of a media type.
func readSigned(raw, typ string, into any) (signing.Signed, error) {
	if len(raw) > signing.MaxSigned {
		return signing.Signed{}, refuse(ReasonTooLarge)
	}
	by, err := signing.Read(raw, typ, into)
	if err != nil {
		return signing.Signed{}, refuseFor(ReasonAnswer, err)
	}
	return by, nil
}

// plain reports whether what is said could be said by an app: texts of a decent size that show what they hold.
func (c *Claims) plain() bool {
	ok := mobileauth.ValidID(c.App.ID) && mobileauth.ValidPlatform(c.App.Platform) && mobileauth.ValidVersion(c.App.Version) &&
		c.Installation != "" && len(c.Installation) <= maxInstallation && len(c.Custom) <= maxCustom
	for _, text := range []string{c.Installation, c.Device.Model, c.Device.OS, c.Device.OSVersion} {
		ok = ok && property(text)
	}
	for name, value := range c.Custom {
		ok = ok && name != "" && property(name) && property(value)
	}
	return ok
}

func property(text string) bool { return text == "" || len(text) <= maxProperty && printable(text) }

// to refuses an answer that is not to the question: meant for another server or realm, or given before.
func (c *Claims) to(q Question) error {
	switch {
	case c.Audience != q.Audience || c.Realm != q.Realm:
		return refuse(ReasonAudience)
	case q.Nonce == "" || subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(q.Nonce)) != 1:
		return refuse(ReasonNonce)
	}
	return nil
}
