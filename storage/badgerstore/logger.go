// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"fmt"
	"log/slog"
	"strings"
)

// engineLogger gives Badger's messages to slog. What Badger finds worth telling is detail to an operator.
type engineLogger struct{ logger *slog.Logger }

// Errorf logs what Badger could not do.
func (l engineLogger) Errorf(format string, args ...any) {
	l.logger.Error("badger", "detail", detail(format, args))
}

// Warningf logs what Badger finds odd.
func (l engineLogger) Warningf(format string, args ...any) {
	l.logger.Warn("badger", "detail", detail(format, args))
}

// Infof logs as detail.
func (l engineLogger) Infof(format string, args ...any) {
	l.logger.Debug("badger", "detail", detail(format, args))
}

// Debugf is dropped: Badger calls it on every write.
func (l engineLogger) Debugf(string, ...any) {}

func detail(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
