package bench

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Ceiling returns a handler that is what HTTP costs and nothing more: echo, as the
// product uses it, which reads the body of a request and drops it. A server cannot
// be faster on the same machine.
//
// POST and DELETE are answered 204, PUT 201, HEAD 200; nothing can be read back, so
// runs against it are blind.
func Ceiling() http.Handler {
	e := echo.New()
	answer := func(status int) echo.HandlerFunc {
		return func(c echo.Context) error {
			if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
				return err
			}
			c.Response().Header()["Stream-Next-Offset"] = []string{"0000000000000001_0000000000000000"}
			return c.NoContent(status)
		}
	}
	for method, status := range map[string]int{
		http.MethodPost: http.StatusNoContent, http.MethodDelete: http.StatusNoContent,
		http.MethodPut: http.StatusCreated, http.MethodHead: http.StatusOK,
	} {
		e.Add(method, "/*", answer(status))
	}
	return e
}
