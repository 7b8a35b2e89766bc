// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// TestLoginCountersAreKeyed: who holds a copy of the store cannot try out which login names, or passwords in their place,
// were typed.
func TestLoginCountersAreKeyed(t *testing.T) {
	t.Parallel()
	r := open(t, usual, "")
	if err := r.app.Start(); err != nil {
		t.Fatal(err)
	}
	guess := identity.Attempt{Login: "nobody", Password: "a wrong guess", ClientIP: "192.0.2.7"}
	if _, err := r.app.Identity().Authenticate(t.Context(), guess); err != nil {
		t.Fatal(err)
	}
	unkeyed := hmac.New(sha256.New, nil)
	unkeyed.Write([]byte("login\x00nobody"))
	var found []string
	err := r.app.DB().View(t.Context(), func(tx storage.Tx) error {
		found = nil
		for item, err := range tx.Scan("login_counter/", "", 0) {
			if err != nil {
				return err
			}
			found = append(found, item.Key)
		}
		return nil
	})
	if err != nil || len(found) != 2 {
		t.Fatalf("the counters are %v, %v", found, err)
	}
	for _, key := range found {
		if strings.HasSuffix(key, base64.RawURLEncoding.EncodeToString(unkeyed.Sum(nil))) {
			t.Error("a counter stands under a hash that everybody can compute")
		}
	}
}
