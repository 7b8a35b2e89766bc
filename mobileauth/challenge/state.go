// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// state is what a challenge keeps. It stays on the server.
type state struct {
	// Operation is empty where somebody who is known could not be asked. Where nobody is there to be asked it is a decoy: an id that no
	// operation has.
	Operation string `json:"operation,omitempty"`
	// Type is the mobile type that was asked for, and Round how often somebody was asked for this request.
	Type  string `json:"type"`
	Round int    `json:"round"`
	// Ended is a stage that is no operation's.
	Ended realm.Stage `json:"ended,omitempty"`

	// Masked tells that the person was named by nothing but a login name. The rest is what is shown then, whatever is true.
	Masked bool   `json:"masked,omitempty"`
	Login  string `json:"login,omitempty"`
	User   string `json:"user,omitempty"`
	Number string `json:"number,omitempty"`
	// Until is when the wait ends, SentAt when something was sent last, Sent how often again, and Tries the wrong codes.
	Until  time.Time `json:"until,omitzero"`
	SentAt time.Time `json:"sent_at,omitzero"`
	Sent   int       `json:"sent,omitempty"`
	Tries  int       `json:"tries,omitempty"`
}

func parseState(kept []byte) (*state, error) {
	if kept == nil {
		return nil, nil
	}
	s := new(state)
	if err := json.Unmarshal(kept, s); err != nil {
		return nil, fmt.Errorf("reading what was kept for the phone: %w", err)
	}
	return s, nil
}

func (s *state) bytes() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("keeping what was asked of the phone: %w", err)
	}
	return data, nil
}

// reference binds an operation to a request and a realm. It is the operation's external id under no client: no back end finds,
// redeems or cancels it.
func reference(in *realm.Input) string { return "realm:" + digest("request", in.Request, in.Realm) }

// key makes a start that is repeated find the operation that the first one made: one for each round of a request, by one type, for one
// user.
func key(in *realm.Input, typ, user string, round int) string {
	return "realm:" + digest("round", in.Request, in.Realm, typ, user, strconv.Itoa(round))
}

// decoy is what stands for an operation where there is nobody to ask: all that is done about one is done, and finds nothing.
func decoy(in *realm.Input, round int) string {
	return "nobody:" + digest("operation", in.Request, in.Realm, strconv.Itoa(round))
}

// digest keeps what it is made of out of keys, each part apart.
func digest(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part) // a hash takes everything
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// draw returns a number such as an operation has.
func draw(digits int) (string, error) {
	if digits <= 0 {
		return "", nil
	}
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		return "", fmt.Errorf("drawing a number: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, n), nil
}
