// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Elsewhere is the variable of the environment that may name a database to be used instead of a server of the tests' own.
const Elsewhere = "GATEHOUSE_TEST_POSTGRES"

// Shared is a server for all the tests of a package, started when the first of them asks. Each has a schema of its own.
type Shared struct {
	once   sync.Once
	server *Server
	dsn    string
	err    error
}

// DSN returns how to connect. The test is skipped where there is no PostgreSQL.
func (s *Shared) DSN(t testing.TB) string {
	t.Helper()
	s.once.Do(func() {
		if s.dsn = os.Getenv(Elsewhere); s.dsn != "" {
			return
		}
		if s.server, s.err = Open(); s.err == nil {
			s.dsn = s.server.DSN("postgres", User)
		}
	})
	if errors.Is(s.err, ErrMissing) {
		t.Skip(s.err)
	}
	must(t, s.err)
	return s.dsn
}

// Schema returns the name of a schema for a place, such as the folder of a test.
func Schema(place string) string {
	sum := sha256.Sum256([]byte(place))
	return "t" + hex.EncodeToString(sum[:8])
}

// Run runs the tests of a package, and stops the server if one was started. It is for TestMain.
func (s *Shared) Run(m *testing.M) (code int) {
	code = m.Run()
	if s.server == nil {
		return code
	}
	if err := s.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
