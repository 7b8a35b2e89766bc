// SPDX-License-Identifier: Apache-2.0

package slapd_test

import (
	"net"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/slapd"
)

func TestStartsAndEnds(t *testing.T) {
	t.Parallel()
	s := slapd.Start(t, slapd.Options{LDIF: "dn: ou=people," + slapd.Suffix + "\nobjectClass: organizationalUnit\nou: people\n\n"})
	address := strings.TrimPrefix(s.LDAP, "ldap://")
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Stop()
	if connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
		_ = connection.Close()
		t.Error("it still listens after it was stopped")
	}
	if !strings.Contains(s.Log(), "slapd starting") {
		t.Errorf("the log is %q", s.Log())
	}
}
