// The API's documentation, from its own OpenAPI document.

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  // Its validator lives on another host.
  validatorUrl: null,
});
