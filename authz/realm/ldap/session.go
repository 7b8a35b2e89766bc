// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	directory "github.com/go-ldap/ldap/v3"
)

// security is how a connection is protected.
type security int

const (
	plain security = iota
	startTLS
	ldaps
)

// maxAnswer bounds what one connection takes from the directory, in bytes: an entry has a picture at times, never more.
const maxAnswer = 4 << 20

var errTooMuch = fmt.Errorf("the directory says more than %d bytes", maxAnswer)

// session is one connection to the directory. It ends with the context it was opened for, whatever is under way.
type session struct {
	ctx  context.Context
	conn *directory.Conn
	raw  net.Conn
	stop func() bool
}

// open connects, and protects the connection before anything is said on it.
func (m *Module) open(ctx context.Context) (*session, error) {
	raw, err := m.dial(ctx, "tcp", m.address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the directory: %w", err)
	}
	s := &session{ctx: ctx, raw: raw}
	s.stop = context.AfterFunc(ctx, func() { _ = raw.Close() }) // wakes whoever reads or writes
	limited := &limitedConn{Conn: raw, left: maxAnswer}
	if err := m.protect(s, limited); err != nil {
		s.close()
		return nil, s.fault("connecting to the directory", err)
	}
	return s, nil
}

func (m *Module) protect(s *session, conn net.Conn) error {
	if m.security == ldaps {
		secure := tls.Client(conn, m.tls)
		if err := secure.HandshakeContext(s.ctx); err != nil {
			return err
		}
		conn = secure
	}
	s.conn = directory.NewConn(conn, m.security == ldaps)
	s.conn.Start()
	if m.security == startTLS {
		return s.conn.StartTLS(m.tls)
	}
	return nil
}

// close ends the connection.
func (s *session) close() {
	s.stop()
	_ = s.raw.Close() // what matters has been answered
	if s.conn != nil {
		_ = s.conn.Close() // waits for its goroutines, which the line above has woken
	}
}

// fault describes what went wrong while something was done: by the code of the directory's result, never by its own words,
// which may repeat what it was sent.
func (s *session) fault(doing string, err error) error {
	if ended := s.ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	var result *directory.Error
	if errors.As(err, &result) && result.ResultCode < directory.ErrorNetwork {
		return fmt.Errorf("%s: the directory answers %d (%s)", doing, result.ResultCode,
			directory.LDAPResultCodeMap[result.ResultCode])
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// refusal is a refusal where there should be none.
func refusal(reason string, err error) error {
	if err != nil {
		return err
	}
	return errors.New("the directory refuses: " + reason)
}

// limitedConn ends a connection that says too much.
type limitedConn struct {
	net.Conn

	left int // read by one goroutine at a time
}

// Read reads as long as something is left to read.
func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
