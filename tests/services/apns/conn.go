// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// maxBody bounds what is read of a notification: more than Apple takes, so that too large is told from broken.
const maxBody = 64 << 10

// conn is one connection with HTTP/2 (RFC 9113), as far as a service needs it that answers in one frame.
type conn struct {
	service *Service
	id      int
	tls     *tls.Conn
	cert    *x509.Certificate // the client's, if it has shown one

	// mu guards writing and what follows.
	mu      sync.Mutex
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	streams map[uint32]*stream
	limit   int
	leaving bool
	judged  acquaintance
}

// acquaintance is what a connection remembers of its provider.
type acquaintance struct {
	token string
	team  string
	since time.Time
}

// stream is one request.
type stream struct {
	id     uint32
	fields []hpack.HeaderField
	body   bytes.Buffer
	ctx    context.Context
	cancel context.CancelFunc
}

// get returns the first value of a field, pseudo-fields included.
func (s *stream) get(name string) string {
	for _, f := range s.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// serve speaks until the connection ends.
func (c *conn) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = c.tls.Close() }()
	if err := c.tls.HandshakeContext(ctx); err != nil || c.tls.ConnectionState().NegotiatedProtocol != "h2" {
		return
	}
	if chains := c.tls.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.cert = chains[0][0]
		c.limit = c.service.streams
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.tls, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	c.framer = http2.NewFramer(c.tls, c.tls)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	if c.settings() != nil {
		return
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil || c.handle(ctx, frame) != nil {
			return
		}
	}
}

// settings tells how many streams are allowed now.
func (c *conn) settings() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.limit)}) //nolint:gosec // small
}

func (c *conn) handle(ctx context.Context, frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		return c.begin(ctx, f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.RSTStreamFrame:
		c.end(f.StreamID)
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.PriorityFrame:
		return errors.New("a PRIORITY frame, which must not be sent to Apple")
	}
	return nil
}

func (c *conn) begin(ctx context.Context, f *http2.MetaHeadersFrame) error {
	c.mu.Lock()
	if c.leaving {
		c.mu.Unlock()
		return nil
	}
	if len(c.streams) >= c.limit {
		defer c.mu.Unlock()
		c.service.count(func(s *Stats) { s.Surplus++ })
		return c.framer.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
	}
	s := &stream{id: f.StreamID, fields: append([]hpack.HeaderField(nil), f.Fields...)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	c.streams[s.id] = s
	open := len(c.streams)
	c.mu.Unlock()
	c.service.count(func(s *Stats) { s.Most = max(s.Most, open) })
	if f.StreamEnded() {
		c.service.group.Go(func() { c.service.answer(c, s) })
	}
	return nil
}

func (c *conn) data(f *http2.DataFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := uint32(len(f.Data())); n > 0 { //nolint:gosec // a frame is small
		if err := c.framer.WriteWindowUpdate(0, n); err != nil {
			return err
		}
		if err := c.framer.WriteWindowUpdate(f.StreamID, n); err != nil && !f.StreamEnded() {
			return err
		}
	}
	s := c.streams[f.StreamID]
	if s == nil {
		return nil
	}
	if s.body.Len()+len(f.Data()) > maxBody {
		return errors.New("a body beyond all measure")
	}
	s.body.Write(f.Data())
	if f.StreamEnded() {
		c.service.group.Go(func() { c.service.answer(c, s) })
	}
	return nil
}

// end forgets a stream, and hangs up after the last one of a connection that is left.
func (c *conn) end(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil {
		s.cancel()
		delete(c.streams, id)
	}
	if c.leaving && len(c.streams) == 0 {
		_ = c.tls.Close()
	}
}

// reply is an answer.
type reply struct {
	status int
	fields map[string]string
	body   []byte
	cut    bool // ends with the connection, in the middle of the body
}

func (c *conn) write(id uint32, r reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	if s == nil {
		return // the client has given up
	}
	defer s.cancel()
	delete(c.streams, id) // before the client can know and open the next one
	c.block.Reset()
	_ = c.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: strconv.Itoa(r.status)}) // a buffer takes everything
	for name, value := range r.fields {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: len(r.body) == 0,
	})
	if err == nil && len(r.body) > 0 {
		if r.cut {
			_ = c.framer.WriteData(id, false, r.body[:len(r.body)/2])
		} else {
			err = c.framer.WriteData(id, true, r.body)
		}
	}
	if err != nil || r.cut || c.leaving && len(c.streams) == 0 {
		_ = c.tls.Close()
	}
}

// leave announces that the connection is left and that a stream was not looked at (RFC 9113, section 6.8).
func (c *conn) leave(id uint32, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	_ = c.framer.WriteGoAway(id-1, http2.ErrCodeNo, []byte(`{"reason":"`+reason+`"}`))
}

// reset breaks one stream off.
func (c *conn) reset(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.framer.WriteRSTStream(id, http2.ErrCodeInternal)
}
