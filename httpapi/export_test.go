package httpapi

import "github.com/labstack/echo/v4"

// Routes lets tests walk all that is served.
func (s *Server) Routes() []*echo.Route { return s.echo.Routes() }

// RaceAllocs is raceAllocs.
const RaceAllocs = raceAllocs
