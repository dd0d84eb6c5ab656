// Scores a comment with npm's perspective-api-client: node analyze.js ADDRESS TEXT
'use strict';
const [address, text] = process.argv.slice(2);
const axios = require('axios');
const Perspective = require('perspective-api-client');

axios.interceptors.request.use(config => ({
  ...config,
  url: config.url.replace('https://commentanalyzer.googleapis.com', address),
}));

new Perspective({apiKey: 'any'}).analyze(text, {attributes: ['toxicity', 'spam']}).then(
  found => console.log(JSON.stringify(found)),
  error => console.log(JSON.stringify({name: error.name, message: error.message}))
);
