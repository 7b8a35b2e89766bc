// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"crypto/sha256"
	"encoding/json"
)

const attestationPrefix = "gatehouse attestation v1\n"

// AttestationHash returns what evidence is made for that is not itself about the device's keys: it binds both of them to the
// challenge.
func AttestationHash(challenge []byte, keys PublicKeys) [sha256.Size]byte {
	input := attestationPrefix + b64.EncodeToString(challenge) + "\n" + keys.Sign.ID() + "\n" + keys.Enc.ID()
	return sha256.Sum256([]byte(input))
}

// AttestationRequest asks for a challenge, or has evidence judged that was made for the last one.
type AttestationRequest struct {
	Attestation json.RawMessage `json:"attestation,omitempty"`
}

// AttestationAnswer is the answer to an [AttestationRequest]: a challenge and until when it is good, or the grade of the evidence.
type AttestationAnswer struct {
	Challenge Bytes  `json:"challenge,omitempty"`
	Expires   int64  `json:"expires,omitempty"`
	Grade     string `json:"grade,omitempty"`
}

// CheckEvidence refuses evidence that is too large.
func CheckEvidence(raw json.RawMessage) error {
	if len(raw) > maxAttest {
		return refuse(ReasonBody, "reading evidence of %d bytes", len(raw))
	}
	return nil
}
