// SPDX-License-Identifier: Apache-2.0

// Package development owns the line between guests that prove something and guests that only help while an application is being
// written: the second kind works where a configuration says that it is for development, and is named in the log there.
package development
