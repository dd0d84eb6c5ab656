// Every address is relative to the page, so that a proxy may serve it under any prefix.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // would send the description to another host
});
